//! The engine behind the console, without a window.

pub mod bindings;
pub mod oui;
pub mod view;
