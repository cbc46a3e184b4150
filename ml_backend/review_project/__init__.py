"""Review as a project of its own: the suspects of a project as tasks of a second one, made for nothing else.

`layout` draws the page, `evidence` collects what stands on it, `tasks` is the way between flags and the second
project's tasks, `serving` keeps those in step with the flags, `verdicts` carries the answers back, `run` is the
whole in its order. State is read from Label Studio each time: a run that was killed is simply run again.
"""
