"""What a service imports, exported from `headgate` itself: who is calling, a gate, an OpenFeature provider."""
