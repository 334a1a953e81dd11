//! The client extension as a dynamic channel plugin for FreeRDP 2 and 3.
