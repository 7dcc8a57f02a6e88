/* SPDX-License-Identifier: Apache-2.0 */
/* Making what a SIGN asks for: see answer.h. */
#include "answer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define SCRATCH 8192	/* chain, key and bundle, or token and key set */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U	/* Linux 6.3 */
#endif

int answer_setup(const struct authority *authority, struct answer *ret_answer,
		 struct error *error)
{
	*ret_answer = (struct answer){ .authority = authority };
	ret_answer->pool = key_memory(ANSWER_POOL * sizeof(struct key_pair));
	ret_answer->scratch = key_memory(SCRATCH);
	if (ret_answer->pool && ret_answer->scratch)
		return 0;
	answer_release(ret_answer);
	return error_set(error, ENOMEM, "keys: locked memory is full");
}

void answer_release(struct answer *answer)
{
	key_memory_release(answer->pool, ANSWER_POOL * sizeof(struct key_pair));
	key_memory_release(answer->scratch, SCRATCH);
	*answer = (struct answer){ NULL };
}

int answer_idle(const struct answer *answer)
{
	return answer->pool_count == ANSWER_POOL;
}

int answer_refill(struct answer *answer)
{
	struct error error = { 0 };
	if (answer_idle(answer))
		return 0;
	int result = key_generate(&answer->pool[answer->pool_count], &error);
	if (!result)
		answer->pool_count++;
	return result;
}

/* The sealed file that carries the parts: nobody can change it any more, and
 * it goes with its last descriptor. */
static int seal(const struct text *parts, int *ret_fd)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	OWN_FD fd = memfd_create("credential", flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("credential", flags);
	if (fd < 0)
		return -errno;
	ssize_t put = write(fd, parts->bytes, parts->length);
	if (put < 0)
		return -errno;
	if ((size_t)put != parts->length)
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_WRITE) < 0)
		return -errno;
	*ret_fd = own_take_fd(&fd);
	return 0;
}

static int make_x509(struct answer *answer, const struct admission_grant *grant,
		     struct text *parts, struct ambit_signed *ret_signed)
{
	const struct authority *authority = answer->authority;
	struct certificate_validity validity = {
		grant->not_before, grant->not_after,
	};
	char bytes[CERTIFICATE_DER];
	struct text der = { bytes, sizeof(bytes), 0, 0 };

	if (!answer->pool_count && answer_refill(answer) < 0)
		return -EIO;
	struct key_pair *pair = &answer->pool[--answer->pool_count];
	int result = certificate_make_leaf(&authority->ca, pair->point,
					   grant->admission->spiffe_id, &validity,
					   grant->id, &der);
	if (!result) {
		text_pem(parts, "CERTIFICATE", (const uint8_t *)bytes, der.length);
		ret_signed->part[0] = (uint32_t)parts->length;
		text_put(parts, pair->pem, KEY_PEM);
		ret_signed->part[1] = KEY_PEM;
		text_put(parts, authority->bundle_pem,
			 authority->bundle_pem_length);
		ret_signed->part[2] = (uint32_t)authority->bundle_pem_length;
	}
	key_wipe(pair, sizeof(*pair));
	return result;
}

static int make_jwt(struct answer *answer, const struct admission_grant *grant,
		    struct text *parts, struct ambit_signed *ret_signed)
{
	const struct authority *authority = answer->authority;
	struct token_claims claims = {
		.spiffe_id = grant->admission->spiffe_id,
		.audience = grant->credential->audience,
		.agent = grant->admission->id,
		.task = grant->admission->task,
		.id = ret_signed->id,
		.issued = grant->not_before,
		.expires = grant->not_after,
	};
	int result = token_make(&authority->token, &claims, parts);
	if (result < 0)
		return result;
	ret_signed->part[0] = (uint32_t)parts->length;
	ret_signed->part[1] = 0;
	ret_signed->part[2] = (uint32_t)authority->bundle_jwks_length;
	text_put(parts, authority->bundle_jwks, authority->bundle_jwks_length);
	return 0;
}

/* As the certificate, the token and the records say it. */
static void write_id(const uint8_t id[ADMISSION_ID],
		     char ret_text[2 * ADMISSION_ID + 1])
{
	struct text hex = { ret_text, 2 * ADMISSION_ID, 0, 0 };

	text_hex(&hex, id, ADMISSION_ID);
	ret_text[2 * ADMISSION_ID] = 0;
}

int answer_make(struct answer *answer, const struct admission_grant *grant,
		struct ambit_signed *ret_signed, int *ret_fd)
{
	static int (*const makers[ADMISSION_KINDS])(
		struct answer *, const struct admission_grant *, struct text *,
		struct ambit_signed *) = {
		[ADMISSION_X509] = make_x509,
		[ADMISSION_JWT] = make_jwt,
	};
	struct text parts = { answer->scratch, SCRATCH, 0, 0 };

	ret_signed->not_before = grant->not_before;
	ret_signed->not_after = grant->not_after;
	write_id(grant->id, ret_signed->id);
	int result = makers[grant->credential->kind](answer, grant, &parts,
						     ret_signed);
	if (!result && parts.overflow)
		result = -EOVERFLOW;
	if (!result)
		result = seal(&parts, ret_fd);
	key_wipe(answer->scratch, parts.length);
	return result;
}
