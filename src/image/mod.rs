//! Images: tags and buildx arguments (pure), running buildx, registry login.
