"""clawsecrets: store, schedule, rotate, deliver, prove and revoke the secrets of a self-hosted OpenClaw."""

__version__ = "0.1.0"
