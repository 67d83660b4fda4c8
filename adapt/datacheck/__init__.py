"""What is wrong with a team's data, told before any training."""

from adapt.datacheck.check import check_data, print_warnings, quick_findings
from adapt.datacheck.findings import Finding

__all__ = ["Finding", "check_data", "print_warnings", "quick_findings"]
