"""`ale teach`: see what a teacher says before paying for all of it, then let it answer, and stop at any point.

`ready` brings what is needed, worker or no worker; `sample` asks a few texts; `again` asks answered ones anew;
`whole` goes on until nothing is left; `screen` shows it all.
"""
