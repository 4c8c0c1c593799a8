"""What each command does, one module a resource. Handlers speak the kernel's API through their context."""
