"""The coordinator: introduces browsers to homes, and is out."""
