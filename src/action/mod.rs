//! The runner's protocol: inputs, event, workflow commands, output files, masks.
