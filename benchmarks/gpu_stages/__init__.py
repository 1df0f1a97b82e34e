"""The stages of `gpu.py`: each module gives `cases(small, device)`, in order of worth."""
