"""The client held against a server whose truth is known: a deterministic stub, and how far the client is from it."""
