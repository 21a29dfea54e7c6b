"""The pages, a file per place in the console. ``console.served`` names those that are served."""
