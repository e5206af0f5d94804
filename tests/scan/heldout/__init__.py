"""A labelled set that was made from the formats' facts alone, without a look at the rules."""
