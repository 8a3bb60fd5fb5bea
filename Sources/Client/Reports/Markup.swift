// SPDX-License-Identifier: Apache-2.0

/// Builds elements of HTML and SVG that are also well-formed XML. Text and attribute values are always escaped;
/// names of elements and attributes come from this program alone.
struct Markup {
    private(set) var text = ""

    /// Adds text that is data.
    mutating func words(_ string: String) { text += Self.escaped(string) }

    /// Adds an element around what `content` adds.
    mutating func element(
        _ name: String, _ attributes: [(String, String)] = [], _ content: (inout Markup) -> Void
    ) {
        text += "<\(name)\(Self.list(attributes))>"
        content(&self)
        text += "</\(name)>"
    }

    /// Adds an element around text that is data.
    mutating func element(_ name: String, _ attributes: [(String, String)] = [], _ words: String) {
        element(name, attributes) { $0.words(words) }
    }

    /// Adds an element without content.
    mutating func empty(_ name: String, _ attributes: [(String, String)] = []) {
        text += "<\(name)\(Self.list(attributes))/>"
    }

    /// Adds what this program itself wrote as markup.
    mutating func verbatim(_ trusted: StaticString) { text += "\(trusted)" }

    /// A line feed, so that the page can be read as text too.
    mutating func line() { text += "\n" }

    private static func list(_ attributes: [(String, String)]) -> String {
        attributes.map { " \($0.0)=\"\(escaped($0.1))\"" }.joined()
    }

    /// `string` with everything that means something in markup written as a reference, and everything that XML cannot
    /// hold or that would steer the reader's eye made visible.
    static func escaped(_ string: String) -> String {
        var result = ""
        for scalar in Text.safe(string, keepingLines: true).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\u{FFFE}", "\u{FFFF}": result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Markup {
    /// Adds what was built elsewhere by the same rules.
    mutating func append(_ other: Markup) { text += other.text }
}
