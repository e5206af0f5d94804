"""Takes an OpenClaw deployment full of plaintext onto clawsecrets: plan, import, references, purge, proof, undo."""
