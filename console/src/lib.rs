//! placeholder while the workspace resolves
