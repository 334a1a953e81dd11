//! Where a face that is no longer seen has gone. Pure.
//!
//! Who leaves does so at an edge of the picture, or walks away until the face is too small. A face that vanishes in
//! the middle is behind something, or turned its back and is still there; one that vanishes at an edge while it is as
//! near as the operator came closer to the screen, out of the camera's sight.

/// How a face vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Where people leave the picture.
    Left,
    /// Where nobody does.
    Hidden,
}

/// A part of the picture's side that counts as its edge.
const EDGE_SHARE: f32 = 0.05;
/// At an edge, a face of this width (of the picture's) is near enough to read on from beyond it: about 1 m.
const NEAR_SHARE: f32 = 0.10;
/// A face of this width walked away until it was not found: beyond 4 m.
const FAR_SHARE: f32 = 0.027;

/// How a face vanished whose last box this is (left, top, width, height) in a picture of this width and height.
#[must_use]
pub fn how(bbox: &[f32; 4], size: [f32; 2]) -> Gone {
    let [x, y, w, h] = *bbox;
    let [width, height] = size;
    let (margin_x, margin_y) = (width * EDGE_SHARE, height * EDGE_SHARE);
    let at_edge = x <= margin_x || y <= margin_y || x + w >= width - margin_x || y + h >= height - margin_y;
    let share = w / width;
    let left = share <= FAR_SHARE || (at_edge && share < NEAR_SHARE);
    if left { Gone::Left } else { Gone::Hidden }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_leave_at_the_edges_and_far_away() {
        let how = |x: f32, y: f32, w: f32| how(&[x, y, w, w * 1.3], [640.0, 480.0]);
        assert_eq!(how(300.0, 200.0, 40.0), Gone::Hidden, "behind the operator, or bent down");
        assert_eq!(how(300.0, 200.0, 15.0), Gone::Left, "walked away");
        assert_eq!(how(5.0, 200.0, 40.0), Gone::Left, "through the door");
        assert_eq!(how(520.0, 300.0, 110.0), Gone::Hidden, "towards the screen");
        assert_eq!(how(300.0, 350.0, 100.0), Gone::Hidden, "below the picture, at arm's length");
    }
}
