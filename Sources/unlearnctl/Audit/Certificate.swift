// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `audit certificate`.
struct AuditCertificate: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate", abstract: "Write a signed document on what an unlearning job did.",
        discussion: """
            It has the method, digests of base and result, the evaluation, the gate, what was purged and the head of the \
            audit log, no texts, and of the forget set a salted commitment. The salt goes to standard error: whoever has it \
            and the very bytes of the set can check that the certificate is about them. verify-certificate needs no daemon.
            """)
    @Argument(
        help: "The unlearning job.", completion: LiveCompletion.jobs([.succeeded]), transform: Arguments.job)
    var job: JobID
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Where to write it (default: standard output).", valueName: "file"))
    var output: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let result = try session.call(
            .auditCertificate, CertificateParams(job: job), as: CertificateResult.self)
        let text = String(decoding: CertificateForm.file(result.document), as: UTF8.self)
        if let output, output != "-" {
            try PrivateFile.write(text, to: output)
            session.output.note("the certificate is in \(output)")
        } else {
            session.output.raw(text)
        }
        session.output.note("salt of the forget set's commitment: \(result.salt.hex)")
    }
}

/// `audit key`.
struct AuditKeyCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Show the public key that certificates are checked with.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.auditKey)
        if session.output.isJSON { return session.output.json(raw) }
        session.output.data(try Connection.decode(AuditKey.self, raw).publicKey.hex)
    }
}

/// `audit verify-certificate`, and `verify-certificate`.
struct VerifyCertificate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-certificate", abstract: "Check a certificate's signature; needs no daemon.",
        discussion: """
            Ends with status 65, and says why, if a byte of it was changed. Without --key the certificate's own key is \
            believed: that shows that it is whole, not who issued it.
            """)
    @Argument(help: "The certificate, or - for standard input.") var file: String
    @Option(
        help: ArgumentHelp("The issuer's public key, as audit key writes it.", valueName: "file"))
    var key: String?
    @Option(help: ArgumentHelp("Hold this forget set against the commitment.", valueName: "file"))
    var forget: String?
    @Option(help: ArgumentHelp("The commitment's salt, 64 digits.", valueName: "digits"))
    var salt: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if (forget == nil) != (salt == nil) { throw ValidationError("Give --forget and --salt together.") }
        if let salt, Digest(hex: salt) == nil {
            throw ValidationError("A salt has 64 lower-case hexadecimal digits.")
        }
    }

    mutating func run() throws {
        let output = Output(json: options.json, quiet: options.quiet, noColor: options.noColor)
        do { try check(output) } catch {
            output.failure(error)
            throw ClientError.silent(error.status)
        }
    }

    private func check(_ output: Output) throws(ClientError) {
        var trusted: Digest?
        if let key {
            trusted = try CertificateFile.key(String(decoding: try TextFile.read(key), as: UTF8.self), key)
        }
        let file = try CertificateFile(try TextFile.read(file), key: trusted)
        if let forget, let salt = salt.flatMap({ Digest(hex: $0) }) {
            try file.check(forget: try TextFile.read(forget), salt: salt)
        }
        let certificate = file.certificate
        if output.isJSON { return output.json(certificate) }
        if output.isQuiet { return }
        func word(_ value: JSONValue?) -> String { value?.stringValue.map { Text.safe($0) } ?? "–" }
        let model = word(certificate["model"])
        output.data(
            "valid: \(word(certificate["method"]?["name"])) of \(model), \(word(certificate["base"]?["version"])) → \(word(certificate["result"]?["version"])), issued \(word(certificate["issued"]))"
        )
        output.data("signed with \(file.publicKey.hex)")
        if trusted == nil {
            output.note("the key is the certificate's own word; hold it against the issuer's: --key FILE")
        }
    }
}
