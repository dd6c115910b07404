"""What a service imports from `headgate`: the caller, a gate, and an OpenFeature provider."""
