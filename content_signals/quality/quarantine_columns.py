"""What a quarantined row carries beside the row as it was: the rules it breaks, who found it, when, in which file."""

RULES, JUDGED_BY, JUDGED_AT, FILE = "broken_rules", "judged_by", "judged_at", "staged_file"
ADDED = (RULES, JUDGED_BY, JUDGED_AT, FILE)
