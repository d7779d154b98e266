"""The command line's parts: what each command does, how answers are shown, and the exit codes scripts rely on."""
