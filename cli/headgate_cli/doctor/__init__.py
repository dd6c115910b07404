"""What `headgate doctor` checks of a deployed stack. It reads, and changes nothing."""
