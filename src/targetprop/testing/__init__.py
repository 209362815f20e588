"""The contract of a rule as a tool: `check_rule(rule)` runs every check on a rule, built in or a user's own."""

from .suite import CheckResult, Report, RuleCheckError, RuleChecks, check_rule

__all__ = ["CheckResult", "Report", "RuleCheckError", "RuleChecks", "check_rule"]
