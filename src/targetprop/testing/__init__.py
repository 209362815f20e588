"""The contract of a rule as a tool: `check_rule(rule)` runs every check on a rule, built in or a user's own."""

from .suite import CheckResult, RuleCheckError, RuleChecks, RuleReport, check_rule

__all__ = ["CheckResult", "RuleCheckError", "RuleChecks", "RuleReport", "check_rule"]
