"""Inference servers as a backend: a client that sends a drawn schedule and stamps what comes back."""
