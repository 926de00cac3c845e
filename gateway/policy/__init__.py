"""What the admin declares in YAML, compiled into one frozen snapshot."""
