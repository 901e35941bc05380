"""The networks, plain `torch.nn.Module`s; `lightning_modules` says how to add one."""
