"""SavedModel folders: checked, by their Keras metadata or operator by operator, and home again."""
