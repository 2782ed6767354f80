"""The words of evaluations and decisions, in Brazilian Portuguese and English."""

from galileu_pipeline.languages import Language

Texts = dict[str, str]

_PT: Texts = {
    "title": "Qual modelo está em serviço, e por quê",
    "state": "Decisão {decision}, tomada em {when} (UTC) a partir de {evaluation}",
    "promoted": "{chosen} passou a atender no lugar de {champion}.",
    "awaiting_approval": (
        "{chosen} cumpre a regra e aguarda aprovação no lugar de {champion}: galileu promote {chosen}"
    ),
    "kept": "{champion} continua em serviço: nenhum candidato cumpre a regra.",
    "no_candidates": "{champion} continua em serviço: não há outro modelo para comparar.",
    "passes": "{id} cumpre todos os critérios.",
    "fails": "{id} não foi promovido, porque {reasons}.",
    "and": " e ",
    "rule": (
        "Um candidato substitui o modelo em serviço se o vencer (o limite inferior do intervalo de {confidence} da "
        "taxa de vitórias fica acima de {min_win_rate}) e não ultrapassar nenhum dos outros limites. O juiz é o "
        "modelo de recompensa {judge}: em {accuracy} dos pares reservados ele prefere a resposta que as pessoas "
        "preferiram. A partir de {min_votes} votos lado a lado, decidem as pessoas no lugar dele."
    ),
    "criteria": "Os critérios",
    "criterion": "critério",
    "found": "medido",
    "limit": "limite",
    "result": "resultado",
    "yes": "✓ cumpre",
    "no": "✗ não cumpre",
    "above": "acima de {limit}",
    "at_most": "até {limit}",
    "figures": "As medidas",
    "figures_note": "{prompts} perguntas reservadas, nunca usadas em treino; intervalos de 95 %.",
    "measure": "medida",
    "picture": "As medidas com seus intervalos",
    "answers": "As respostas, lado a lado",
    "reward_of": "recompensa {reward}",
    "nothing": "Nada a mostrar.",
    "said_nothing": "(nada)",
    # criteria, and what they say when they fail
    "criterion_win_rate": "vitórias contra o modelo em serviço (limite inferior)",
    "criterion_people": "votos das pessoas contra o modelo em serviço (limite inferior)",
    "criterion_length_ratio": "comprimento das respostas, em relação ao modelo em serviço",
    "criterion_perplexity_ratio": "perplexidade em texto geral, em relação ao modelo base",
    "criterion_repetition": "repetição a mais do que o modelo em serviço",
    "criterion_empty": "respostas vazias",
    "criterion_unfinished": "respostas cortadas a mais do que o modelo em serviço",
    "criterion_other_language": "respostas em outra língua que a da pergunta, a mais do que o modelo em serviço",
    "criterion_lost_canaries": "perguntas de controle perdidas",
    "criterion_worse_groups": "grupos de perguntas em que perde com certeza",
    "criterion_rolled_back": "retirado de serviço por uma pessoa",
    "because_win_rate": (
        "tem {wins} vitórias, {ties} empates e {losses} derrotas em {n} perguntas, e o limite inferior do intervalo, "
        "{value}, não passa de {limit}"
    ),
    "because_people": (
        "as pessoas o preferem em {rate} de {votes} votos, e o limite inferior do intervalo, {value}, não passa de "
        "{limit}"
    ),
    "because_length_ratio": "suas respostas têm {value} vezes o comprimento das do modelo em serviço (limite {limit})",
    "because_perplexity_ratio": "sua perplexidade em texto geral é {value} vezes a do modelo base (limite {limit})",
    "because_repetition": "repete {value} a mais do que o modelo em serviço, em pontos percentuais (limite {limit})",
    "because_empty": "deixa vazias {value} das respostas (limite {limit})",
    "because_unfinished": (
        "deixa cortadas mais respostas do que o modelo em serviço, {value} em pontos percentuais (limite {limit})"
    ),
    "because_other_language": (
        "responde mais em outra língua do que o modelo em serviço, {value} em pontos percentuais (limite {limit})"
    ),
    "because_lost_canaries": "falha em {value} perguntas de controle que o modelo em serviço acerta (limite {limit})",
    "because_worse_groups": "perde com certeza em {value} grupos de perguntas (limite {limit})",
    "because_rolled_back": "uma pessoa o retirou de serviço, e só uma pessoa pode devolvê-lo (galileu promote)",
    # measures
    "win_rate": "vitórias contra o modelo em serviço",
    "comparison": "{one} comparado com {other}",
    "comparison_state": "Comparação {evaluation}, feita em {when} (UTC)",
    "win": (
        "{one} vence em {rate} [{low}; {high}] das perguntas reservadas: {wins} vitórias, {ties} empates e {losses} "
        "derrotas em {n}, segundo o juiz."
    ),
    "no_votes": "Ninguém os comparou ainda: `galileu chat` os mostra lado a lado.",
    "votes": (
        "As pessoas: {votes} votos, {wins} para {one}, {losses} para {other}, {ties} empates, {both_bad} vezes as duas "
        "ruins; {one} vence em {rate} [{low}; {high}]."
    ),
    "votes_decide": " Elas preferem {better}.",
    "votes_decide_nothing": " Isso nada decide, nem com muitos votos a mais como esses.",
    "more_votes_decide": " Cerca de {more} votos a mais decidem, se forem como esses.",
    "in_group": "… em perguntas do grupo {group}",
    "in_no_group": "… em perguntas de nenhum grupo",
    "reward": "recompensa média",
    "teacher_reward": "recompensa média do modelo com que o PPO aprende",
    "preference_accuracy": "acerto das preferências",
    "preference_margin": "margem das preferências (nats por token)",
    "length": "comprimento (caracteres)",
    "length_ratio": "comprimento relativo",
    "repetition": "repetição",
    "empty": "respostas vazias",
    "unfinished": "respostas cortadas",
    "other_language": "respostas em outra língua que a da pergunta",
    "kl": "KL ao modelo base em texto geral (nats por token)",
    "perplexity": "perplexidade em texto geral",
    "perplexity_ratio": "perplexidade relativa à do modelo base",
    "canaries": "perguntas de controle certas",
    "judges": "Até onde confiar nos juízes",
    "judge_accuracy": "preferem, nos pares reservados, a resposta que as pessoas preferiram",
    "judge_band": "… onde as notas das pessoas (0 a 1) diferem em mais de {above}, até {up_to}",
    "rank_correlation": "ordenam as respostas a uma pergunta como as notas (tau de Kendall)",
    "raters": "uma pessoa ordena duas respostas como as outras: o que se pode esperar de um juiz",
    "in_service": "em serviço",
    "compared_with": "referência",
}

_EN: Texts = {
    "title": "Which model is in service, and why",
    "state": "Decision {decision}, taken {when} (UTC) on {evaluation}",
    "promoted": "{chosen} has taken the place of {champion}.",
    "awaiting_approval": (
        "{chosen} passes the rule and awaits approval in place of {champion}: galileu promote {chosen}"
    ),
    "kept": "{champion} stays in service: no candidate passes the rule.",
    "no_candidates": "{champion} stays in service: there is no other model to compare with.",
    "passes": "{id} meets every criterion.",
    "fails": "{id} was not promoted, because {reasons}.",
    "and": " and ",
    "rule": (
        "A candidate takes the place of the model in service if it wins against it (the lower end of the win rate's "
        "{confidence} interval lies above {min_win_rate}) and is beyond the limits in nothing else. The judge is the "
        "reward model {judge}: in {accuracy} of the held-out pairs it prefers the answer that people preferred. From "
        "{min_votes} side-by-side votes on, people decide in its place."
    ),
    "criteria": "The criteria",
    "criterion": "criterion",
    "found": "found",
    "limit": "limit",
    "result": "result",
    "yes": "✓ met",
    "no": "✗ not met",
    "above": "above {limit}",
    "at_most": "at most {limit}",
    "figures": "The figures",
    "figures_note": "{prompts} held-out questions, never trained on; 95 % intervals.",
    "measure": "measure",
    "picture": "The figures with their intervals",
    "answers": "The answers, side by side",
    "reward_of": "reward {reward}",
    "nothing": "Nothing to show.",
    "said_nothing": "(nothing)",
    "criterion_win_rate": "wins against the model in service (lower bound)",
    "criterion_people": "people's votes against the model in service (lower bound)",
    "criterion_length_ratio": "length of the answers, over that of the model in service",
    "criterion_perplexity_ratio": "perplexity on general text, over the base model's",
    "criterion_repetition": "repetition beyond that of the model in service",
    "criterion_empty": "empty answers",
    "criterion_unfinished": "answers cut off, beyond those of the model in service",
    "criterion_other_language": "answers in another language than the question's, beyond those of the model in service",
    "criterion_lost_canaries": "canary questions lost",
    "criterion_worse_groups": "groups of questions in which it certainly loses",
    "criterion_rolled_back": "taken out of service by a person",
    "because_win_rate": (
        "it has {wins} wins, {ties} ties and {losses} losses on {n} questions, and the lower end of the interval, "
        "{value}, is not above {limit}"
    ),
    "because_people": (
        "people prefer it in {rate} of {votes} votes, and the lower end of the interval, {value}, is not above {limit}"
    ),
    "because_length_ratio": "its answers are {value} times as long as those of the model in service (limit {limit})",
    "because_perplexity_ratio": "its perplexity on general text is {value} times the base model's (limit {limit})",
    "because_repetition": "it repeats itself more than the model in service, by {value} points (limit {limit})",
    "because_empty": "it leaves {value} of its answers empty (limit {limit})",
    "because_unfinished": "it leaves more answers unfinished, by {value} points (limit {limit})",
    "because_other_language": (
        "it answers in another language more often than the model in service, by {value} points (limit {limit})"
    ),
    "because_lost_canaries": "it fails {value} canary questions that the model in service passes (limit {limit})",
    "because_worse_groups": "it certainly loses in {value} groups of questions (limit {limit})",
    "because_rolled_back": "a person took it out of service, and only a person can put it back (galileu promote)",
    "win_rate": "wins against the model in service",
    "comparison": "{one} compared with {other}",
    "comparison_state": "Comparison {evaluation}, made {when} (UTC)",
    "win": (
        "{one} wins on {rate} [{low}, {high}] of the held-out questions: {wins} wins, {ties} ties and {losses} losses "
        "on {n}, says the judge."
    ),
    "no_votes": "People: nobody has compared the two yet. `galileu chat` puts them side by side.",
    "votes": (
        "People: {votes} votes, {wins} for {one}, {losses} for {other}, {ties} ties, {both_bad} both bad; {one} wins "
        "{rate} [{low}, {high}] of them."
    ),
    "votes_decide": " They prefer {better}.",
    "votes_decide_nothing": " That decides nothing, and would not for very many votes.",
    "more_votes_decide": " About {more} more votes decide, if they are as those so far.",
    "in_group": "… on questions of the group {group}",
    "in_no_group": "… on questions of no group",
    "reward": "mean reward",
    "teacher_reward": "mean reward by the model that PPO learns from",
    "preference_accuracy": "preference accuracy",
    "preference_margin": "preference margin (nats a token)",
    "length": "length (characters)",
    "length_ratio": "relative length",
    "repetition": "repetition",
    "empty": "empty answers",
    "unfinished": "answers cut off",
    "other_language": "answers in another language than the question's",
    "kl": "KL to the base model on general text (nats a token)",
    "perplexity": "perplexity on general text",
    "perplexity_ratio": "perplexity relative to the base model's",
    "canaries": "canary questions passed",
    "judges": "How far the judges can be trusted",
    "judge_accuracy": "prefer, on held-out pairs, the answer that people preferred",
    "judge_band": "… where people's scores (0 to 1) differ by more than {above}, up to {up_to}",
    "rank_correlation": "order the answers to a question as the scores do (Kendall's tau)",
    "raters": "a person orders two answers as the others do: what a judge can hope for",
    "in_service": "in service",
    "compared_with": "compared with",
}

TEXTS: dict[Language, Texts] = {"pt": _PT, "en": _EN}
