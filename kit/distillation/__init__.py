"""What distillation methods share: how modalities enter, networks, a training run, a classifier."""
