"""Optional: vectors of passages, and search by meaning."""
