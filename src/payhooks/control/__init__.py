"""The control plane: what people and programs set up, and who may."""
