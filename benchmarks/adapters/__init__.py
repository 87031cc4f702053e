"""One adapter for each family of frameworks: the same few questions, answered inside that framework's process."""
