"""Rules and verdicts."""

import os
import warnings

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # Great Expectations reads it when it is imported
warnings.filterwarnings("ignore", category=DeprecationWarning, module="great_expectations")
