"""What a fitted interpreter is worth: scores, controls, folds. No interpreter knows of it."""
