"""What happens around the training loop. Import as `adapt.callbacks`."""

if __name__ != "adapt.callbacks":
    raise ImportError("import adapt.callbacks, not callbacks: a module under two names would exist twice")
