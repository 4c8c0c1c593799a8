"""Files of a project: every path is resolved inside the project's folder, by the system and not by its text."""
