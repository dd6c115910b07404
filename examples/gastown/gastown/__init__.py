"""A small Gastown: the reference service behind the gate. Replace it with your own."""
