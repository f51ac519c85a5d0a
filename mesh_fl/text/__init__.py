"""Text as vectors: sentence encoders that run here, offline, with their results kept on disk."""
