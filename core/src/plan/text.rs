//! placeholder
pub(super) fn render(_: &super::Plan) -> String {
    String::new()
}
