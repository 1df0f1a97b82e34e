"""What a person starts: the command line, the course runner and its pages, the examination of an installation."""
