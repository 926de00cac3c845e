"""What an answer is worth: by itself, beside another model's, and beside the reference's."""
