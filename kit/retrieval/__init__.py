"""What image-text methods share: how images enter, towers, a training run, a retriever."""
