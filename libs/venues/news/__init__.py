"""Headlines from outside: feeds (RSS, Atom) and files of JSON lines, read as plain text and never trusted."""
