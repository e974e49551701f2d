@rem Runs its arguments, as "exec" of a POSIX shell does: for "npm start" (docs/decisions/0011-signals-through-npm.md).
@%*
