//! Sessions of xrdp.
