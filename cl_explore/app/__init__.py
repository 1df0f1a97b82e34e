"""What a person starts: the command line, the course runner, the examination of an installation."""
