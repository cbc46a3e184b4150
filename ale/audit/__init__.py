"""What a random audit of the pool proves: intervals, bounds under repeated looks, when to stop, what may be finished."""
