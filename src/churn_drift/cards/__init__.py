"""What people read of a run before they use its model: figures by slice, the model card, the data sheet."""
