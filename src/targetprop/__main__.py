"""`python -m targetprop`."""

from .cli import main

raise SystemExit(main())
