"""Detection: rules, matching, decoding, triage, the workers, and the cache of what was clean."""
